"""One model process per user: `p2assist serve` holds the models, every window and command asks it.

messages: what is said over the socket. place: where the socket is. models: what is held. server:
who answers. starting: how a process comes to be. client: the Generator that asks. Only the
process itself imports torch.
"""
