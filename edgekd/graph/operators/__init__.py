"""What each operator means, by family: on integer codes in `x.py`, in torch for training in `x_training.py`."""
