"""Workers: processes that take trials from the queue and train them, and what starts them."""
