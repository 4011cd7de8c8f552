"""Networks read from PyTorch modules. Nothing here is imported before a module is traced."""
