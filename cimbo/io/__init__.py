"""A study's results in the formats of other tools: Optuna storage, ONNX networks, ZigZag's and AccelForge's YAML."""
