"""Operations around one job: how long it is kept, whom it tells of its end, what it asks."""
