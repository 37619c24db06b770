appliance {
  interface = "eth0"
}
network "office" {
  subnet = "192.168.50.0/24"
  routers = ["192.168.50.1"]
  vlan {
    id = 20
  }
  option "time_ofset" { # ERROR: Unknown option
    value = 3600
  }
  option "lease_time" { # ERROR: Reserved option
    value = 3600
  }
  option "53" { # ERROR: Reserved option
    value = 3600
  }
  option "255" { # ERROR: Unknown option
    value = 3600
  }
  option "routers" { # ERROR: Duplicate option
    value = ["192.168.50.1"]
  }
  option "1" { # ERROR: Duplicate option
    value = "255.255.255.0"
  }
  option "132" { # ERROR: Duplicate option
    value = 5
  }
  option "time_offset" {
    value = "soon" # ERROR: Invalid option value
  }
  option "2" { # ERROR: Duplicate option
    value = 3600
  }
  option "log_servers" {
    value = ["192.168.50.1", "loghost"] # ERROR: Invalid option value
  }
  option "224" { # ERROR: Invalid option value
  }
  option "225" { # ERROR: Invalid option value
    value = "x"
    hex   = "00"
  }
  option "226" {
    hex = "0g" # ERROR: Invalid option value
  }
  option "227" {
    hex = "" # ERROR: Invalid option value
  }
  option "228" {
    value = { a = 1 } # ERROR: Invalid option value
  }
  option "229" {
    value = [[1], [2]] # ERROR: Invalid option value
  }
  option "230" {
    value = 1.5 # ERROR: Invalid option value
  }
}
vendor_class "pxe" { # ERROR: Missing required argument
  option "relay_agent_information" { # ERROR: Reserved option
    value = "x"
  }
}
vendor_class "all" {
  match = "" # ERROR: Invalid match
}
