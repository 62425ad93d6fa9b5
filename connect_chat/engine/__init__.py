"""Decisions in time, as pure functions: no I/O, no clock, no randomness but what is passed in.

What happens, what the engine does then, and where that is written. Times are the defaults of
`options`, where each is explained; states are those of the tables in `session` and `link`.

::

    what happens                      what the engine does                           where
    --------------------------------  ---------------------------------------------  -------------
    a chat is opened                  asks for a connection, opens its URL within    links, link
                                      85 s, subscribes (unanswered: again after 1 s,
                                      3 times; refused: after 0.5 s, 5 times). The
                                      session is connected once a link is live
    … and what was said before        is read from the transcript; live items wait   recovery
                                      for that, 5 s after the last page that brought
                                      something
    … but `from_start` is False       the newest item is read before the socket is   beginning
                                      opened, and all up to it counts as delivered
    it cannot be connected            fails: at once if the service refuses or its   session,
                                      certificate is not trusted, else after 60 s    patience
    a socket breaks                   asks for another: at once, then after a random links,
                                      time up to 0.5 s × 2ⁿ, 30 s at most, or        backoff
                                      Retry-After; gives up after 30 minutes
    … meanwhile                       whatever can be is read from the transcript    recovery
    … and is back                     a gap: live items wait while the transcript is recovery,
                                      read from the anchor on, and again 1, 3 and    reading,
                                      10 s later, since it may lag                   inbox
    no answer to heartbeats for 15 s  the link is suspect: replaced, but listened    link, links
                                      to; if it answers after all, it is live again
                                      and a gap is read
    deep heartbeats fail twice        the link is replaced, at most once a minute,   links
                                      then ever more seldom
    a connection is about to expire   another one is made live first, 2 to 6 minutes links, link,
                                      before; the old one answers a last heartbeat   lifetime
                                      and is listened to for another second
    a frame makes no sense            ignored; if it may have been an item, the      frames,
                                      transcript is read, and nothing waits for that recovery
    items are repeated                dropped by their Ids; what is older than those inbox
                                      that are remembered by the floor
    items come out of order           put right if they come within 0.1 s; else      waiting,
                                      marked `late`, by the reader that has handed   reader
                                      out a later one
    500 items without a read          the transcript is compared in the background   recovery
    the service refuses a position    reads from its time, then back from the end    reading
    an own message comes back         known by our participant id; before that is    echo
                                      known, what may be it waits for SendMessage
    a message is streamed             pieces are put together; 30 s without one: it  streams
                                      is looked for, then handed out as incomplete
    a send is refused with 403        the token is renewed and the call repeated,    outbox,
                                      once, with its ClientToken                     credentials
    a send is cancelled               taken back if it has not begun, else goes on   outbox
    a reader leaves 1,000 items       falls behind: is caught up from the transcript reader
                                      at its own pace, and nobody waits for it
    chat.ended comes                  the transcript is read a last time, for 5 s at session,
                                      most; then ChatEnded is handed out             recovery
    a connection is refused with 403  the same: that is how a chat that has ended    session
                                      answers, if there ever was a connection
    we disconnect                     items are delivered until chat.ended, or until session
                                      nothing has come for 60 s
    an agent's part is transferred    the end, for an agent or a supervisor          session
    the session is closed             sockets, calls and alarms end; readers and     session
                                      sends are told
    a snapshot is taken               tokens, the anchor, and the Ids read since     snapshot
    the instance's quota is short     calls wait for their turn by urgency           pacing, queues
    a call fails                      repeated, within a budget                      retry

`session` puts the parts together; the shell that carries out what they ask for is
``connect_chat.driver``.
"""
