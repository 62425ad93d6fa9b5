"""Whole chats of hours in milliseconds: the engine against a model of the service and the network.

`clock` is virtual time, `transcript` and `service` the service, `network` the sockets and HTTP in
between, `faults` the seeded plan of what breaks and when, `process` one process that holds the
chat (an engine and the shell that carries its commands out), `user` who reads and writes there,
`world` all of it together, `checks` what must hold. ``python -m tests.simulation`` runs many
seeds; `mutations` are defects that it must find.

The model is not kinder than the service is documented to be; where nothing is documented it takes
what a careful client would have to survive. What it assumes in the client's favour is said where
it is assumed.
"""
