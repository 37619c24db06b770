aplliance {} # ERROR: Unsupported block type
appliance {
  interfce = "eth0" # ERROR: Unsupported argument
}
network "office" {
  interface = "eth0"
  subnet    = "192.168.50.0/24"
  rnage     = ["192.168.50.100", "192.168.50.199"] # ERROR: Unsupported argument
  hots "02:00:5e:10:00:01" {} # ERROR: Unsupported block type
  vlan {
    id   = 20
    prio = 5 # ERROR: Unsupported argument
  }
}
interface = "eth0" # ERROR: Unsupported argument
