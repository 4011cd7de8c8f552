"""Drawing: scales, marks and words that every picture and the report share."""
