"""One module per capture format, each with ``matches(head) -> bool`` and ``batches(source, info) -> Iterator[Batch]``.

``head`` is the beginning of the decompressed file (``source.HEAD`` bytes, or all of a shorter one). ``batches`` raises
``UsageError`` only where nothing can be read at all; what ends reading later goes into ``info.damage``.
"""
