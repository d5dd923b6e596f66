"""The dashboard's page: the report's explorer, living, and what is in training beside it.

``page`` makes the page, which is empty; ``live_runs`` says what a browser reads as runs end.
``templates`` and ``static`` hold what the report's folders lack.
"""
