"""How a value is written, in every room; knows none of them."""
