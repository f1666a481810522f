"""Finding passages: their meaning as vectors, their words, and both fused; and the store that they are kept in."""
