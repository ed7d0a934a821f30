"""The appliance put together: its stores and queues, its workshops, what serves, what tries."""
