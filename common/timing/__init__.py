"""What timestamps tell about two clocks and the way between them: pure functions on integers.

Times and delays are integers in ns, rates are floats. `summary` has the statistics of one row,
`offset` the four timestamps, `delay` the two ways and their variation, `skew` the drift of one
clock against the other, `stability` the Allan deviation; `analysis` puts them together for an
exchange and `recorded` for a file.
"""
