appliance {
  interface = "eth0"
  state_dir = "state"
  files_dir = "files"
}

network "office" {
  subnet = "192.168.50.0/24"
  range  = ["192.168.50.100", "192.168.50.199"]
  vlan {
    id = 20
  }
}

profile "base" {
  default = true
  codecs  = ["g722", "pcmz"] # WARNING: Unknown codec

  ldap {
    port            = 70000             # ERROR: Invalid port
    password        = sensitive("open") # ERROR: Secret in a general document
    name_filter     = "cn=%"            # ERROR: Invalid name_filter
    number_filter   = "(mobile=*)"      # ERROR: Invalid number_filter
    name_attributes = [["cn"]]          # ERROR: Wrong type of value
    max_hit         = 5                 # ERROR: Unsupported argument
  }

  action_urls {
    incoming = "crm.office.example" # ERROR: Invalid incoming
    ringing  = "http://crm/"        # ERROR: Unsupported argument
  }

  web_login {
    user     = phone.name              # its own file has it
    password = local.nothing           # ERROR: Unsupported attribute
  }
  admin_mode {
    enabled = "maybe" # ERROR: Invalid enabled
  }

  vlan {
    id       = 30 # WARNING: VLAN other than the network's
    priority = 8  # ERROR: Invalid priority
  }

  phonebook {
    everyone = "others"                   # ERROR: Phone in a general document
    csv      = ["none.csv", "numbers.csv"] # ERROR: Missing file
    contact "Anna" {
      number = 1
      type   = "colleague" # ERROR: Unknown contact type
      favourite = "yes" # ERROR: Wrong type of value
    }
  }

  dialplan {
    emergency = ["112", "one one zero"] # ERROR: Invalid number
    timeout   = "soon"                  # ERROR: Invalid timeout
  }
}

profile "often" {
  polling {
    every = "10s" # ERROR: Invalid duration
  }
}

profile "seldom" {
  polling {
    every  = "36h" # ERROR: Interval beside a window
    window = ["02:00", "04:00"]
  }
}

profile "never" {
  polling { # ERROR: Missing required argument
  }
}

profile "badly" {
  polling {
    window = ["2 o'clock"] # ERROR: Invalid window
  }
  polling {} # ERROR: Duplicate polling
}

profile "desk" {
  phonebook {
    everyone = 5 # ERROR: Wrong type of value
  }
  codecs = ["g722", "g711a", "pcma"] # ERROR: Duplicate codec
}

phone "000413000001" {
  name    = "anna"
  model   = "snomD785"
  profile = "desk"

  identity "1" {
    user      = "101"
    port      = "sip" # ERROR: Invalid port
    registrar = "pbx.office.example"
    expiry    = "never"    # ERROR: Invalid expiry
    savp      = "always"   # ERROR: Invalid savp
    dtmf      = "inband"   # ERROR: Invalid dtmf
    failover  = "second"   # ERROR: Invalid failover
    ringer    = "Ringer11" # ERROR: Invalid ringer
    codecs    = ["G.722"]  # ERROR: Invalid codec
  }
  identity "2" {
    transport = "tls" # ERROR: Transport without a host
  }
  identity "3" {
    outbound  = "pbx.office.example:5060;transport=udp"
    transport = "tls" # ERROR: Transport said twice
  }
  identity "4" {
    outbound  = "pbx.office.example"
    transport = "sctp" # ERROR: Invalid transport
  }
  identity "5" {
    outbound = "pbx.office.example:5060"
    port     = 5061 # ERROR: Transport said twice
  }

  key "1" { # ERROR: Key without a value
    type = "blf"
  }
  key "2" {
    type  = "none"
    value = "x" # ERROR: Value on a key without one
  }
  key "3" {
    type   = "speed"
    value  = "112"
    pickup = "**" # ERROR: Pickup code on another key
  }
  key "4" {
    type   = "blf"
    value  = "102|*8"
    pickup = "**" # ERROR: Pickup code said twice
  }
  key "5" {
    type  = "keyevent"
    value = "F_REDAIL" # WARNING: Unknown key event
  }
  key "6" {
    type  = "keyevent"
    value = "redial" # ERROR: Invalid value
  }
  key "7" {
    type  = "multicast"
    value = "192.168.50.1:5555" # ERROR: Invalid value
  }
  key "8" {
    type  = "url"
    value = "door.office.example" # ERROR: Invalid value
  }
  key "9" {
    type    = "line"
    context = "first" # ERROR: Invalid context
  }
  key "10" {
    type       = "line"
    lp         = true
    long_press = true # ERROR: Long press said twice
  }
  key "11" {
    type = "line"
    key  = 3 # ERROR: Key without a module
  }
  key "place" { # ERROR: Missing required argument
    type   = "line"
    module = 1
  }
  key "module" {
    type   = "line"
    module = 4 # ERROR: Invalid module
    key    = 1
  }
  key "beyond" {
    type   = "line"
    module = 1
    key    = 19 # WARNING: Key beyond those of the module
  }
  key "24" {
    type = "line"
  }
  key "taken" { # ERROR: Duplicate key
    type   = "line"
    module = 1
    key    = 1
  }
}

phone "000413000002" {
  name  = "bert"
  model = "snomD713"
  key "none" {
    type   = "line"
    module = 1 # WARNING: Module on a phone without
    key    = 1
  }
}
