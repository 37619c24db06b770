appliance {
  interface = "eth0"
}

profile "base" {
  default = true
  phonebook {
    contact "First" {
      number = "1"
    }
    contact "Second" { # WARNING: Phone book that is too long
      number = "2"
    }
  }
}

model "snomD998" {
  keys            = 4
  modules         = 2
  module_keys     = 10
  phonebook_limit = 2
}

model "snomD997" {
  keys            = 4
  phonebook_limit = 1
}

profile "everyone" {
  phonebook {
    everyone = "others" # WARNING: Phone book that is too long
  }
}

phone "000413000001" {
  name  = "10"
  model = "snomD998"
  identity "1" {
    user      = "10"
    password  = sensitive("x")
    registrar = "pbx"
  }
  key "23" {
    type = "line"
  }
  key "24" { # WARNING: Key beyond the model's
    type = "line"
  }
}

phone "000413000002" {
  name  = "11"
  model = "snomD997"
  identity "1" {
    user      = "11"
    password  = sensitive("x")
    registrar = "pbx"
  }
  key "4" { # WARNING: Key beyond the model's
    type = "line"
  }
}

phone "000413000003" {
  name    = "12"
  model   = "snomD998"
  profile = "everyone"
  identity "1" {
    user      = "12"
    password  = sensitive("x")
    registrar = "pbx"
  }
}
model "snomD713" {
  module "D7C" { # WARNING: Module on a phone without
    firmware = "http://h.example/snomD7C-1.6.1-r.bin"
  }
}
