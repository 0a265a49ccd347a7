"""The parts of the tour: each predicts, acts and judges its own steps."""
