"""Operations on packages and wheels: upload, activate, look at, install from."""
