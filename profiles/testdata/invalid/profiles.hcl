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

profile "base" {
  default = true
  extends = "common"
}

profile "common" {
  settings {
    language = "Deutsch"
  }
}

profile "second" { # ERROR: Second default profile
  default = true
}

profile "" { # ERROR: Profile without a name
}

profile "maybe" {
  default = "perhaps" # ERROR: Wrong type of value
}

profile "desk" {
  extends = "comon" # ERROR: Unknown profile
}

profile "desk" { # ERROR: Duplicate profile
}

profile "unused" {
  extends  = "desk"
  colour   = "red" # ERROR: Unsupported argument
  settings {
    phone_name = phone.nmae # ERROR: Unsupported attribute
    locale     = local.none # ERROR: Unsupported attribute
  }
  setings { # ERROR: Unsupported block type
  }
}

phone "000413000001" {
  profile = "dekk" # ERROR: Unknown profile
}
