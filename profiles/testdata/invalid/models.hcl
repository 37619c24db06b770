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

model "gigaset" { # ERROR: Invalid model
}

model "snom370" {
  scheme = "ftp"  # ERROR: Invalid scheme
  format = "json" # ERROR: Invalid format
}

model "SNOM370" { # ERROR: Duplicate model
}

model "snomD785" {
  firmware = "ten one" # ERROR: Invalid firmware
}

model "snomD765" {
  firmware = "../snomD765-1-SIP-r.bin" # ERROR: Invalid firmware
}

model "snomD735" {
  firmware = "ftp://files.example.org/snomD735.bin" # ERROR: Invalid firmware
  frimware = "10.1.1.1" # ERROR: Unsupported argument
}

model "snom320" {
  scheme = "https" # WARNING: Missing https block
}

profile "pilot" {
  firmware = phone.mac # ERROR: Unknown variable
}
