"""The arithmetic of each operator by family, on integer codes in `x.py` and for training in `x_training.py`."""
