package main

import _ "time/tzdata" // the zones of schedules, where the host has no data of its own; the client needs none
