appliance {
  interface = "eth0"
}
network "office" {
  subnet = "192.168.50.0/24"
  routers = ["192.168.50.1"]
  host "02:00:5e:10:00:01" {
    address = "192.168.50.10"
  }
  host "02-00-5E-10-00-01" { # ERROR: Duplicate MAC address
    address = "192.168.50.11"
  }
  host "02:00:5e:10:00:02" {
    address = "192.168.50.10" # ERROR: Duplicate address
  }
  host "02:00:5e:10:00" { # ERROR: Invalid MAC address
    address = "192.168.50.12"
  }
  host "ff:ff:ff:ff:ff:ff" { # ERROR: Invalid MAC address
    address = "192.168.50.13"
  }
  host "02:00:5e:10:00:03" {
    address = "192.168.51.10" # ERROR: Address outside subnet
  }
  host "02:00:5e:10:00:04" {
    address = "192.168.50.1" # ERROR: Unusable address
  }
  host "02:00:5e:10:00:05" {
    address = "192.168.50.255" # ERROR: Unusable address
  }
  host "02:00:5e:10:00:06" {
    address = "192.168.50.0" # ERROR: Unusable address
    name    = "front_desk"   # ERROR: Invalid host name
  }
  host "02:00:5e:10:00:07" { # ERROR: Missing required argument
    name = "printer.office.example" # ERROR: Invalid host name
  }
}
network "other" {
  subnet = "192.168.60.0/24"
  host "0200.5e10.0001" { # ERROR: Duplicate MAC address
    address = "192.168.60.10"
  }
}
