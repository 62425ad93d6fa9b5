"""What the other side of a chat does, written down as data.

In Python::

    from connect_chat.emulator import Emulator, scenarios as s

    scenario = s.Scenario(
        s.Say("Welcome to Example Corp."),
        s.Ask(
            "Do you want to talk to somebody?",
            answers=(s.Answer("yes", (s.Join("Jane"), s.Say("Hello!", by="Jane"))),),
            otherwise=(s.Say("Good-bye."), s.End()),
        ),
    )
    async with Emulator(scenario=scenario) as emulator:
        ...

or in YAML, which `load` reads::

    about: A greeting.
    steps:
      - say: Welcome to Example Corp.
      - ask:
          text: Do you want to talk to somebody?
          answers:
            - match: "yes"
              steps:
                - join: Jane
                - say: {text: Hello!, by: Jane}
          otherwise:
            - say: Good-bye.
            - end

A step is named in lower case as its class is here, with underscores. Of what it takes, the first
may be written without its name. `ready` lists the scenarios that come with the package.
"""

from connect_chat.emulator.scenarios.loading import ScenarioError, load, parse, ready
from connect_chat.emulator.scenarios.steps import (
    FLOW,
    Answer,
    Ask,
    AwaitCustomer,
    End,
    Idle,
    Inject,
    Interactive,
    Join,
    Leave,
    Listen,
    Repeat,
    Return,
    Say,
    Scenario,
    SendFile,
    Step,
    Stream,
    Transfer,
    Type,
    Wait,
)

__all__ = [
    "FLOW",
    "Answer",
    "Ask",
    "AwaitCustomer",
    "End",
    "Idle",
    "Inject",
    "Interactive",
    "Join",
    "Leave",
    "Listen",
    "Repeat",
    "Return",
    "Say",
    "Scenario",
    "ScenarioError",
    "SendFile",
    "Step",
    "Stream",
    "Transfer",
    "Type",
    "Wait",
    "load",
    "parse",
    "ready",
]
