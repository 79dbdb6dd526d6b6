"""The embedded world: real servers on loopback that behave like a network, healthy or broken.

loop.py       listening sockets, one thread that accepts, a bounded pool that answers
authority.py  certification authorities and the certificates they issue
names.py      the DNS server, and the resolver of a machine that asks it
servers.py    HTTPS front ends, and servers that go wrong
proxies.py    proxies of every mood
setting.py    what stands where: the description that a scene is made of
world.py      a setting turned into servers and a ``Machine``
scenes.py     the scenes, healthy and broken, with what netdiag must say about each

Contract: nothing leaves loopback, nothing needs rights, every port is ephemeral. A machine of this world reaches
the servers under addresses that look real, because its ``Net`` translates them.
"""

from netdiag.world.world import World

__all__ = ["World"]
