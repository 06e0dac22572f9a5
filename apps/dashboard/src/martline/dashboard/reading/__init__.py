"""What MySQL says of the shop and of the pipeline."""
