appliance {
  interface = "eth0"
  state_dir = "state"
  files_dir = "files"
}

phone "000413000001" {
  address = "192.168.51.20" # WARNING: Address without a network
  settings {
    dhcp = false # no network block: nothing contradicts it
  }
}
