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
    name    = "printer"
  }
  port "door" {
    circuit_id = "gi1"
    address    = "192.168.50.11"
  }
}

phone "000413000001" {
  name    = "Printer" # ERROR: Duplicate phone name
  address = "192.168.51.20" # ERROR: Address outside its subnet
}

phone "000413000002" {
  address = "192.168.50.255" # ERROR: Address outside its subnet
}

phone "000413000003" {
  address = "192.168.50.0" # ERROR: Address outside its subnet
}

phone "000413000004" {
  address = "192.168.50.1" # ERROR: Reservation of a taken address
}

phone "000413000005" {
  address = "192.168.50.10" # ERROR: Reservation of a taken address
}

phone "00041300000A" {
  address = "192.168.50.11" # ERROR: Reservation of a taken address
}

phone "000413000006" {
  address = "192.168.50.20"
}

phones "row" {
  for_each = ["192.168.50.20", "192.168.50.21"]
  mac      = "00041300001${each.key}"
  address  = each.value # ERROR: Reservation of a taken address
}

phone "000413000007" {
  address = "192.168.50.300" # ERROR: Invalid address
}

phone "000413000008" {
  address = "2001:db8::1" # ERROR: Invalid address
}
