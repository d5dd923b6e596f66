"""What a training step reads: tensors, batches, augmentation, frozen features."""
