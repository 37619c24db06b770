appliance {
  interface = "eth0"
}
network "office" {
  subnet       = "192.168.50.0/24"
  rapid_commit = "perhaps" # ERROR: Wrong type
  port "lobby" {
    circuit_id = "7"
    address    = "192.168.50.10"
  }
  port "lobby again" { # ERROR: Duplicate port
    circuit_id = "0x37"
    address    = "192.168.50.11"
  }
  port "nowhere" { # ERROR: Missing identifier
    address = "192.168.50.12"
  }
  port "odd" {
    remote_id = "0x123" # ERROR: Invalid identifier
    address   = "192.168.50.13"
  }
  port "empty" {
    remote_id = "" # ERROR: Invalid identifier
    address   = "192.168.50.14"
  }
  port "taken" {
    remote_id = "sw2"
    address   = "192.168.50.10" # ERROR: Duplicate address
  }
}
