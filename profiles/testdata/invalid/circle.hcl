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

locals {
  a = local.b # ERROR: Circle of locals
  b = local.c
  c = local.a
  d = local.a
}

locals {
  d = 1 # ERROR: Duplicate local
  e = phone.mac # ERROR: Unknown variable
}

profile "one" {
  extends = "two" # ERROR: Circle of extends
}

profile "three" {
  extends = "one"
}

profile "two" {
  extends = "three"
}

profile "aside" {
  extends = "two"
}
