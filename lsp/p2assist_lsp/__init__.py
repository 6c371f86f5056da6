"""The language server: completions in the editor, tested while they are looked at.

server wires pygls to Editor; everything else knows no protocol. One message goes: server ->
editor -> session (a document) -> folder (a repository) -> verification, feedback, memory.
"""
