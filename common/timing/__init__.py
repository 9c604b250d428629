"""Timing analysis: what the stamps of an exchange tell about two clocks and the path between them.

Pure functions on integers. Times and delays are in ns, rates are floats. `record` holds the stamps
of one exchange, `delays` the four timestamps and the delay of each direction, `clocks` the skew and
stability of one clock against the other. `analysis` puts them together. `file_format`,
`file_writer` and `file_analysis` are about the time file.
"""
