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
}

phone "000413000001" {
  redirect = "provisioning.branch.example" # ERROR: Invalid URL
}

phone "000413000002" {
  redirect = "https://provisioning.branch.example/" # ERROR: Redirect beside settings
  settings {
    language = "Deutsch"
  }
}

phone "000413000003" {
  redirect = "https://provisioning.branch.example/{mac}.xml" # ERROR: Redirect beside settings
  profile  = "desk"
}

phone "000413000004" {
  redirect = "ftp://provisioning.branch.example/" # ERROR: Invalid URL
}
