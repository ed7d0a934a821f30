"""Operations on single jobs: submit, look at, follow, fetch, cancel, try again."""
