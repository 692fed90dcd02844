"""What the exercise shows to its learner."""
