appliance {
  interface = "eth0"
  state_dir = "state"
  files_dir = "files"
}

network "office" {
  subnet  = "192.168.50.0/24"
  range   = ["192.168.50.100", "192.168.50.199"]
  routers = ["192.168.50.1"]
  host "02:00:5e:10:00:01" {
    address = "192.168.50.10"
  }
}

phone "000413000001" {
  name = "anna"
  identity "1" {
    user      = "101" # ERROR: Duplicate setting
    pasword   = "secret" # ERROR: Unsupported argument
    password  = local.nothing # ERROR: Unsupported attribute
    registrar = ["a", "b"] # ERROR: Wrong type of value
    outbound  = { value = "pbx.office.example", idx = 2 } # ERROR: Index within an identity
    settings {
      user_name = "102" # ERROR: Duplicate setting
      user_dtmf = [1, 2] # ERROR: Wrong type of value
    }
  }
  identity "1" { # ERROR: Duplicate identity
  }
  identity "0" { # ERROR: Invalid identity number
  }
  identity "one" { # ERROR: Invalid identity number
  }
  identity "2" {
    user = phone.extension
  }
  settings {
    user_name = { value = "103", idx = 1 }
  }
}

phone "000413000002" {
  name = "joerg"
  identity "1" {
    user = phone.extension # ERROR: Unsupported attribute
  }
}
