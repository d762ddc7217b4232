"""Differential fuzz: after each record every tensor of the executor is what the meter takes it for."""
