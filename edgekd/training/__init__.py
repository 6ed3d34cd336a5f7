"""The one training loop, and the processes, devices and threads that it runs on."""
