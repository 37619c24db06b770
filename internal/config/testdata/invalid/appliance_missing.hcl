network "office" { # ERROR: Missing appliance block
  subnet = "192.168.50.0/24"
}
