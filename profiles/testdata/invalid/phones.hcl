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

phone "00:04:13:00:00:01" {
  name = "anna"
}

phone "00041300000g" { # ERROR: Invalid MAC address
}

phone "00-04-13-00-00-01" { # ERROR: Duplicate MAC address
  name = "berta"
}

phone "0004.1300.0002" {
  name = "Anna" # ERROR: Duplicate phone name
}

phone "02005E100001" { # ERROR: Duplicate MAC address
}

phones "staff" {
  for_each = { a = "000413000001", b = "", c = "000413", d = "000413000009" }
  mac      = each.value # ERROR: Duplicate MAC address # ERROR: Missing MAC address # ERROR: Invalid MAC address
  name     = each.key
  settings {
    phone_name = each.value.name # ERROR: Unsupported attribute
    bell       = each.key == "d" ? "\u0001" : "" # ERROR: Character that no document can hold
  }
}

phones "staff" { # ERROR: Duplicate phones
  for_each = 3 # ERROR: Invalid for_each
  mac      = each.value
}

phones "lists" { # ERROR: Missing required argument
  mac = "000413000003"
}

phones "secret" {
  for_each = sensitive(["000413000007"]) # ERROR: Secret in a public place
  mac      = each.value
}

phone "000413000008" {
  name = "line\nbreak" # ERROR: Invalid phone name
}

phones "no macs" { # ERROR: Missing required argument
  for_each = []
}

phones "sheet" {
  for_each = csvdecode(file("missing.csv")) # ERROR: Missing file
  mac      = each.value.mac
}

phone "000413000004" {
  modle = "snom370" # ERROR: Unsupported argument
  model = "gigaset" # ERROR: Invalid model
  name  = sensitive("me") # ERROR: Secret in a public place
}

phone "000413000005" {
  identity "1" {
    password = secret("sip/missing") # ERROR: Missing secret
  }
  settings {
    http_pass = password("") # ERROR: Error in function call
  }
}
