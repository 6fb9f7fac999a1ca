"""Augmentation of whole batches for training, on the device of the images.

Every random number comes from the CPU's generator, one draw for each parameter, so all devices see the same batch.
"""
