"""Readers of replies: the port, and the reader that the product uses."""

from pipeline.domain.answers.parsed_reply import (
    MAX_TEXT,
    NOTHING,
    UNCLEAR,
    Control,
    ParsedReply,
    Question,
    Reader,
    ReadSpan,
)
from pipeline.domain.answers.reading.reader import PlainReader

__all__ = ["MAX_TEXT", "NOTHING", "UNCLEAR", "Control", "ParsedReply", "PlainReader", "Question", "ReadSpan", "Reader"]
