"""Operations on many jobs: lists and presets, submissions by the line, batches, bulk changes."""
