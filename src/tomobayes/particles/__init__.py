"""What is known of particles from where they are and how they stand: half-sets, duplicates, lattices, surfaces."""
