"""What is known of particles from where they are: half-sets."""
