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

profile "desk" {
  key "1" {
    type  = "bfl" # ERROR: Unknown key type
    value = "sip:101@pbx.office.example"
  }
  key "1" { # ERROR: Duplicate key
    type = "line"
  }
  key "2" {
    type  = "line"
    value = "1" # ERROR: Value on a line key
  }
  key "-3" { # ERROR: Invalid key number
    type = "line"
  }
  key "4" { # ERROR: Key without a type
    label = "Redial"
  }
  key "5" {
    type = "url"
    value = "https://door.office.example/"
    perm = "W" # ERROR: Invalid permission flag
    size = 2   # ERROR: Unsupported argument
  }
  key "6" {
    type = password("x") # ERROR: Secret in a public place
  }
  key "8" { # ERROR: Key without a type
    type = "blf"
    raw  = "blf 101"
  }
  key "9" {
    raw   = "blf 101"
    value = "102" # ERROR: Value of a raw key
  }
  key "10" {
    xml = "<general></action>" # ERROR: Malformed XML
  }
  key "11" {
    raw        = "blf 101"
    attributes = { lp = "on" } # ERROR: Attribute with a word
  }
  key "13" {
    raw        = "blf 101"
    attributes = { "icon type" = "" } # ERROR: Invalid attribute
  }
  key "12" {
    raw        = "blf 101"
    attributes = "ringer" # ERROR: Wrong type of value
  }
  dynamic "key" {
    for_each = [7, 7] # two of one number
    labels   = [key.value] # ERROR: Duplicate key
    content {
      type = "line"
    }
  }
}

phone "000413000001" {
  profile = "desk"
}
