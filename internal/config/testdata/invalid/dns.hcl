appliance {
  interface = "eth0"
}
dns {
  forwarders = [
    "192.0.2.53:0",     # ERROR: Invalid address
    "dns.example.org",  # ERROR: Invalid address
    "0.0.0.0",          # ERROR: Invalid address
  ]
  hold = ["provisioning.snom.com", "-x-"] # ERROR: Invalid domain name
  record "pbx.office.example" {
    address = "192.168.50.5"
  }
  record "PBX.office.example." { # ERROR: Duplicate name
    address = "192.168.50.6"
  }
  record "a..b" { # ERROR: Invalid domain name
    address = "192.168.50.6"
  }
  record "none.office.example" { # ERROR: Invalid record
  }
  record "both.office.example" { # ERROR: Invalid record
    address   = "192.168.50.6"
    addresses = ["192.168.50.6"]
  }
  record "name.office.example" {
    address = "pbx" # ERROR: Invalid address
  }
  record "port.office.example" {
    address = "192.168.50.6:53" # ERROR: Invalid address
  }
}
