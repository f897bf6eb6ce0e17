"""The core around the array: controller, loader, operand buffers, feeder."""
