"""Operations on how long things are kept: rules, pins, deletions, versions that nothing needs."""
