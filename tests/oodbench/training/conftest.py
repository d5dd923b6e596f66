"""Beside the helpers of these tests, so that tests in the folders below find them."""
